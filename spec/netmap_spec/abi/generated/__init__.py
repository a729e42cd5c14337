"""Written by ``netmap_spec.abi.generate``; do not edit."""
