# Two images of one distribution:
#   runtime   what agent, scheduler and workers run; users build their own images FROM it
#   operator  the operator, and dask-kubernetes' controller
#
# The dependencies are below the code, so that a change of code is a layer of a megabyte.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS dependencies
# The user has an entry in /etc/passwd because programs (kopf, for one) ask for the name of the user that they run as.
# The environment is that user's, so that an image FROM this one may `pip install` as it is; pods cannot write to it.
RUN useradd --uid 1000 --user-group --create-home --shell /bin/sh flowkiln \
 && mkdir /opt/flowkiln \
 && chown 1000:1000 /opt/flowkiln
ENV PATH=/opt/flowkiln/bin:$PATH \
    VIRTUAL_ENV=/opt/flowkiln \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# Images of Python come without compiled modules of the standard library, and pods could not keep any: each process of
# a run would compile hundreds of them.
RUN python3 -m compileall -q -x '/(test|tests|idlelib|lib2to3|site-packages|dist-packages)/' \
      "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
WORKDIR /home/flowkiln
USER 1000:1000
# Every process of a run, however it is started, finds the modules that an image FROM this one puts into its folder.
RUN python3 -m venv /opt/flowkiln \
 && pwd > "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/home.pth"
COPY requirements/runtime.lock /opt/flowkiln/share/requirements/runtime.lock
RUN pip install --require-hashes --requirement /opt/flowkiln/share/requirements/runtime.lock

FROM dependencies AS operator-dependencies
COPY requirements/operator.lock /opt/flowkiln/share/requirements/operator.lock
RUN pip install --require-hashes --requirement /opt/flowkiln/share/requirements/operator.lock

FROM ${PYTHON_IMAGE} AS wheel
RUN python3 -m venv /opt/build
COPY requirements/build.in requirements/dev.lock /opt/build/
# The tools that build the wheel stay out of the images: their versions are those of the lock, without its hashes.
RUN sed -n 's/^\([^ #]*==.*[^ ]\) *\\$/\1/p' /opt/build/dev.lock > /opt/build/versions.txt \
 && /opt/build/bin/pip install --no-cache-dir --disable-pip-version-check \
      --requirement /opt/build/build.in --constraint /opt/build/versions.txt
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY engine engine
COPY operator operator
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --disable-pip-version-check --wheel-dir /wheel .

FROM operator-dependencies AS operator
COPY --from=wheel /wheel /opt/flowkiln/share/wheel
RUN pip install --no-index --no-deps /opt/flowkiln/share/wheel/*.whl

# Last, so that it is what a build without --target makes.
FROM dependencies AS runtime
COPY --from=wheel /wheel /opt/flowkiln/share/wheel
RUN pip install --no-index --no-deps /opt/flowkiln/share/wheel/*.whl
