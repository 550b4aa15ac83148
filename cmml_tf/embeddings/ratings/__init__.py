"""What is known of users and items from ratings: factors, their posterior, ordinal tables."""
