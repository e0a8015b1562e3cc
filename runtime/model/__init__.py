"""What a model file is and how it runs: contract, engine, session, seal, structure, self-test, installation."""
