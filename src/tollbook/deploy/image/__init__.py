"""From an installation, or somebody's project, to an image in a registry."""
