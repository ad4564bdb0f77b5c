# SPDX-License-Identifier: Apache-2.0
# The virtual environment of the Python clients, made once for each requirements.txt and interpreter.

install_requirements() {
    python3 -m venv "$1" && "$1/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: \
        --retries 1 --timeout 20 -r "$suite_dir/python/requirements.txt"
}

# Sets $environment.
prepare_python() {
    needs python3
    environment=$(cache_for "python-$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')" \
        "$suite_dir/python/requirements.txt")
    prepare "$environment" install_requirements
}
