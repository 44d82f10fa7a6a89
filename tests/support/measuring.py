"""Tests that measure: what watches the lines for `make coverage` costs time and memory itself."""

import os

import pytest

measures = pytest.mark.skipif(
    "COVERAGE_PROCESS_CONFIG" in os.environ, reason="measures, and coverage is being measured"
)
