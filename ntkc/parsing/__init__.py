"""What the parse is made of: the grammar, the layout, the recovery from mistakes, and their explanation."""
