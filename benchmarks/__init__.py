"""Timings against baselines; run by hand, each writes a JSON that README.md is rendered from."""
