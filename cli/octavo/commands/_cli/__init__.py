"""What the commands share: the application, options, output, progress and errors."""
