"""What is told of an environment's life: its log stream, and the emulator's own diary."""
