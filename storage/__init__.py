"""The filing cabinet: DuckDB, files and catalogues. No torch, no Gradio."""
