"""From what people have to a `Panel`: a reader makes a `Source`, `assemble` a `Draft`, and the store writes it."""
