"""What is shown to people outside the program: files of their own."""
