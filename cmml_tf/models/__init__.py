"""The CMML model, its construction from a configuration, and the paper's presets."""
