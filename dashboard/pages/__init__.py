"""The pages, a file each: the layout, and the callbacks that fill it."""
