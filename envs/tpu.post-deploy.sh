# Snakemake runs this from the working directory, in the environment that it made from tpu.yaml.
bash envs/install.sh tpu
