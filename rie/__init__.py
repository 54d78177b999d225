"""AWS Lambda's execution model on one's own machine."""
