"""Context encoders: the support set to the task context (section 3.2), and what they share."""
