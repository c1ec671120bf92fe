# SPDX-License-Identifier: Apache-2.0
"""
What this costs, beside what a user would pick instead: `python -m benchmarks`.

Contenders take turns within one run, so that what else the machine does hits them alike; ratios are what to rely on. The
receiver counts what arrived: a contender that is quick because it drops is seen. docs/benchmarks.md says how each figure is
made and how it lies.
"""
