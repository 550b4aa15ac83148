"""Raw logs to a folder of split scenarios, in stages whose memory is bounded."""
