"""Layers, deployment packages and images: built, checked, merged. Knows nothing of environments."""
