"""AWS's interfaces, one a file: HTTP in, a core value, HTTP out. They decide nothing."""
