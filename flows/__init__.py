"""The flow: its steps, the objects they cover, and what joins everything to one program."""
