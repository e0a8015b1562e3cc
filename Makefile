# The README's two commands: `make demo` runs the whole road on synthetic frames, `make test` checks everything.
# Both make .venv on first use. On a machine without an NVIDIA GPU a CPU build of torch saves gigabytes; see README.md.

TORCH ?= torch==2.13.0
PYTHON ?= python3
BIN := .venv/bin
SET := data/sets/demo
RUN := runs/demo

.PHONY: demo test clean

demo: .venv/installed
	rm -rf $(SET) $(RUN)
	$(BIN)/cook-data synth $(SET) --train 240 --val 48 --test 24 --kitchens 2 --size 256
	$(BIN)/cook-data doctor $(SET)
	$(BIN)/cook-train $(SET) -o $(RUN) --epochs 20 --batch 4 --lr 0.003
	$(BIN)/cook-export $(RUN) -o $(RUN)/model.onnx
	$(BIN)/cook-infer eval $(SET) -m $(RUN)/model.onnx
	$(BIN)/cook-infer masks $(SET)/test/images -m $(RUN)/model.onnx -o test_inf_masks --overlay
	$(BIN)/cook-bench $(RUN)/model.onnx
	@echo
	@echo "Open these: test_inf_masks/*.png (masks), test_inf_masks/overlay/*.png (masks over frames),"
	@echo "            $(RUN)/curves.png (training), $(RUN)/model.onnx (the model to ship)"

test: .venv/installed .types/cookseg
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=.types $(BIN)/lint-imports
	$(BIN)/python -m pytest
	$(BIN)/python -m pytest -q --doctest-modules --pyargs cookseg.runtime cookseg.data cookseg.training cookseg.export

# torch first and by itself, so that no other package may pull another build in
.venv/installed: setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install "$(TORCH)"
	$(BIN)/python -m pip install --editable ".[dev]"
	touch $@

# mypy and import-linter cannot see an editable install of folders that are mapped to packages
.types/cookseg:
	mkdir -p .types
	ln -s .. $@

clean:
	rm -rf .venv .types build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .node
