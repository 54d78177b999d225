"""What keeps an environment to itself: its disk, its network, its view of the machine."""
