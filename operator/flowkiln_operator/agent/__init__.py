"""The agent: the process in the scheduler's pod that loads the plan, runs the engine and reports the status.

It uses only packages of the user's image (flowkiln, the standard library, tornado), and no Kubernetes client.
"""
