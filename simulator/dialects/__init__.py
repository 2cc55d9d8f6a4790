"""How each venue speaks: its wire protocol, from the server's side and without a socket."""
