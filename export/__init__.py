"""Export: checkpoint -> ONNX -> simplified -> checked against torch -> one self-contained file."""
