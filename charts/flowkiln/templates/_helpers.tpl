{{/* Labels of every object. */}}
{{- define "flowkiln.labels" -}}
app.kubernetes.io/part-of: flowkiln
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* An image of the values, with the chart's version where they name neither tag nor digest. Takes image and root. */}}
{{- define "flowkiln.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end -}}
{{- end }}

{{/* Behind the names of the operator's roles: releases that share a cluster differ in their classes of runs. */}}
{{- define "flowkiln.classSuffix" -}}
{{- with .Values.settings.runClass }}-{{ . }}{{ end -}}
{{- end }}

{{/*
Objects of one of the files that no value changes, with labels and annotations, and a suffix to their names if there is
one. Takes text, annotations, suffix and root.
*/}}
{{- define "flowkiln.objects" -}}
{{- $labels := include "flowkiln.labels" .root | fromYaml -}}
{{- $annotations := .annotations -}}
{{- $suffix := .suffix -}}
{{- range splitList "\n---\n" .text }}
{{- $object := fromYaml . -}}
{{- $_ := set $object.metadata "name" (printf "%s%s" $object.metadata.name (default "" $suffix)) -}}
{{- $_ := set $object.metadata "labels" (merge (default dict $object.metadata.labels) $labels) -}}
{{- if $annotations -}}
{{- $_ := set $object.metadata "annotations" (merge (default dict $object.metadata.annotations) $annotations) -}}
{{- end }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}

{{/*
Bindings of a controller's ClusterRole to its ServiceAccount. With namespaces to watch the role is bound in each of them,
and a small role lets the controller see the cluster's definitions and namespaces, as kopf wants to.
Takes role, serviceAccount, text (of the role's file) and root.
*/}}
{{- define "flowkiln.bindings" -}}
{{- $here := . -}}
{{- if .root.Values.namespaces }}
{{- $wide := list -}}
{{- range (fromYaml .text).rules -}}
{{- if or (has "customresourcedefinitions" .resources) (has "namespaces" .resources) -}}
{{- $wide = append $wide . -}}
{{- end -}}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .role }}-discovery
  labels:
    {{- include "flowkiln.labels" .root | nindent 4 }}
rules:
{{ toYaml $wide }}
{{- range .root.Values.namespaces }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $here.role }}
  namespace: {{ . }}
  labels:
    {{- include "flowkiln.labels" $here.root | nindent 4 }}
{{- include "flowkiln.roleRef" $here }}
{{- end }}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .role }}{{ if .root.Values.namespaces }}-discovery{{ end }}
  labels:
    {{- include "flowkiln.labels" .root | nindent 4 }}
{{- include "flowkiln.roleRef" (merge (dict "role" (printf "%s%s" .role (ternary "-discovery" "" (not (empty .root.Values.namespaces))))) .) }}
{{- end }}

{{- define "flowkiln.roleRef" }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .role }}
subjects:
- kind: ServiceAccount
  name: {{ .serviceAccount }}
  namespace: {{ .root.Release.Namespace }}
{{- end }}

{{/* Where a controller's pod may run, and with which Secrets its image is pulled. Takes pod (the values) and root. */}}
{{- define "flowkiln.placement" -}}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
{{ toYaml . }}
{{- end }}
{{- with .pod.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .pod.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .pod.tolerations }}
tolerations:
{{ toYaml . }}
{{- end }}
{{- with .pod.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* What every controller's pod has, as the restricted profile asks for. */}}
{{- define "flowkiln.podSecurity" -}}
automountServiceAccountToken: true
enableServiceLinks: false
terminationGracePeriodSeconds: 10
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  seccompProfile:
    type: RuntimeDefault
volumes:
- name: tmp
  emptyDir: {}
{{- end }}

{{- define "flowkiln.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
volumeMounts:
- name: tmp
  mountPath: /tmp
{{- end }}

{{/* A PodDisruptionBudget. Takes name, budget (the values) and root. */}}
{{- define "flowkiln.podDisruptionBudget" -}}
{{- if .budget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "flowkiln.labels" .root | nindent 4 }}
spec:
  maxUnavailable: {{ .budget.maxUnavailable }}
  selector:
    matchLabels:
      app.kubernetes.io/name: {{ .name }}
{{- end }}
{{- end }}

{{/* What a controller may call: API servers, whose addresses no selector knows, and DNS. */}}
{{- define "flowkiln.egress" -}}
egress:
- ports:
  {{- range .Values.networkPolicy.apiServerPorts }}
  - port: {{ . }}
    protocol: TCP
  {{- end }}
- ports:
  - port: 53
    protocol: UDP
  - port: 53
    protocol: TCP
{{- end }}
