# The formula of a release, with zeros in place of the checksum of its source; `make release` fills
# in both. It builds from source: on macOS the plugin links Apple's frameworks.
class KubectlSexton < Formula
  desc "Kubectl plugin that finds, explains and reaps zombie processes"
  homepage "https://RELEASES"
  url "https://RELEASES/v0.1.0/sexton-0.1.0.tar.gz"
  sha256 "0000000000000000000000000000000000000000000000000000000000000000"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "install", *std_cargo_args(path: "crates/kubectl-sexton")
    bin.install_symlink "kubectl-sexton" => "kubectl_complete-sexton"
    generate_completions_from_executable(bin/"kubectl-sexton", "completion")
    system bin/"kubectl-sexton", "man", man1
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/kubectl-sexton version")
  end
end
