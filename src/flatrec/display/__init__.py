"""How objects look in a notebook: pages of HTML that load nothing, run nothing and change nothing around them."""
