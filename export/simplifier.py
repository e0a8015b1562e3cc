"""Simplify a graph with onnxsim: ``python -m cookseg.export.simplifier GRAPH OUTPUT``.

A process of its own, because onnxsim's C++ core has crashed on other people's graphs. `convert.simplify` starts it.
"""

import sys

import onnx
import onnxsim


def main(graph: str, output: str) -> None:
    """Read a graph, fold what onnxsim can fold, write the result; that both compute the same is checked elsewhere."""
    onnx.save(onnxsim.simplify(onnx.load(graph), check_n=0)[0], output)


if __name__ == "__main__":
    main(*sys.argv[1:])
