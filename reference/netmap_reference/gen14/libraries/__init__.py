"""How the libraries that come with netmap read the names of ports, before the kernel sees them."""
