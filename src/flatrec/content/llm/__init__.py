"""Item texts and images, rewritten and edited with the help of a language model behind a chat endpoint."""
