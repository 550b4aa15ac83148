"""Keras layers of the paper's section 3, one file a subsection, in its order."""
