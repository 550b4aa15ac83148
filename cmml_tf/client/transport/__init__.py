"""How a request reaches a server: channels, proxies, further tries of calls that failed."""
