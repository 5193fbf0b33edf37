"""Parse a search space from YAML or a dict: includes, parameters, constraints."""
