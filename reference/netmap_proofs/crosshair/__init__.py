"""A second engine for the scalar steps: contracts that CrossHair must confirm over all paths."""
