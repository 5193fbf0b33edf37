"""From YAML or a dict to a SearchSpace: includes, parameters, constraints."""
