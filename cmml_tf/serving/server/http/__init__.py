"""REST: an HTTP server that bounds what it takes, and the JSON of TensorFlow Serving."""
