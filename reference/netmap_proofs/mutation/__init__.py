"""An automatic mutator over the model: would a proof notice a small slip in a step?

Top file: ``operators.py`` (which slips), then ``planting.py`` (a slip in the running process),
``hunt.py`` (which obligation refutes it), ``equivalence.py`` and ``domains.py`` (that a slip changes
nothing), ``known.toml`` (what else survives, and why).
"""
