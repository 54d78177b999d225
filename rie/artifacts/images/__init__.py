"""Images: what a base is made of, engines that build and run them, a trial as on Lambda."""
