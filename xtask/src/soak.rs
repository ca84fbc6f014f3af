pub(crate) fn run(_words: &[String]) -> anyhow::Result<()> {
    anyhow::bail!("not yet")
}
