"""One reader of tables: delimited text (plain, .gz, .zst) and parquet, a block at a time.

table_names  how files of tables are called
formats    which kind of file it is, its separator and header
columns    which column is what
text_file  blocks of lines of a text file            parquet_file  row groups of a parquet file
lines      a block of lines -> columns               parquet_file  a row group -> columns
ids        integers or text
malformed  what is left out: counted, limited, named
read_logs  files from beginning to end, into memory
own_table  a table of one's own: its files, and what its columns are called
"""
