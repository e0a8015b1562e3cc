"""Evaluation: what an engineer opens to decide. Run folders and their comparison; no torch.

from cookseg.evaluation import compare_runs

comparison = compare_runs(["runs/one", "runs/other"])
print(comparison.differ, [run.best["val_miou"] for run in comparison.runs])
"""

from cookseg.evaluation.comparison import Comparison, compare_runs
from cookseg.evaluation.run import Record, Run

__all__ = ["Comparison", "Record", "Run", "compare_runs"]
