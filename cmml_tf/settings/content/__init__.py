"""What is known of users and items beside who took what, for the settings that read it."""
