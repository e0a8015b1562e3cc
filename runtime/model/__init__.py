"""Model files and their execution: contract, engine, session, seal, structure, self-test, installation."""
