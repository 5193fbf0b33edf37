"""How configurations are proposed: samplers, priors, constraints, the portfolio."""
