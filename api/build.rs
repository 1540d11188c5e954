//! Builds the page (`ui/`, TypeScript) with npm, and lists its files for `routes/page.rs` to embed.
//!
//! Sources are copied to `OUT_DIR` and built there: nothing is generated in the source tree. `npm ci` runs only when the lockfile has
//! changed, and none of it when no source has. Where npm is missing or fails, or `GRIDTALLY_PAGE=off`, the build goes on with a warning,
//! and `ui/missing.html` is embedded instead, which says how to get the page.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// Sources of the page beside `ui/src` and `ui/public`.
const FILES: [&str; 6] = [
    "index.html",
    "docs.html",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
];
const FOLDERS: [&str; 2] = ["src", "public"];
/// Longest part of what npm said that is told as a warning, lines.
const LINES_MAX: usize = 6;

fn main() -> io::Result<()> {
    let own = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let ui = own.join("ui");
    println!("cargo::rerun-if-changed=build.rs");
    for name in FILES.iter().chain(&FOLDERS).chain(&["missing.html"]) {
        println!("cargo::rerun-if-changed=ui/{name}");
    }
    println!("cargo::rerun-if-env-changed=GRIDTALLY_PAGE");
    let page = out.join("page");
    let built = if env::var_os("GRIDTALLY_PAGE").is_some_and(|word| word == "off") {
        Err("GRIDTALLY_PAGE is `off`".to_owned())
    } else {
        build(&ui, &out.join("ui"), &page)
    };
    if let Err(why) = built {
        println!(
            "cargo::warning=the page is not built in: {}",
            why.replace('\n', " / ")
        );
        println!(
            "cargo::warning=install Node.js 20.19 or later with npm, then: touch api/build.rs && cargo build --release"
        );
        let _ = fs::remove_dir_all(&page);
        fs::create_dir_all(&page)?;
        for name in ["index.html", "docs.html"] {
            fs::copy(ui.join("missing.html"), page.join(name))?;
        }
        fs::copy(ui.join("public/icon.svg"), page.join("icon.svg"))?;
    }
    list(&page, &out.join("page_files.rs"))
}

fn variable(name: &str) -> io::Result<OsString> {
    env::var_os(name).ok_or_else(|| io::Error::other(format!("cargo did not set {name}")))
}

/// Copies the sources, installs what the lockfile names, and runs Vite.
fn build(ui: &Path, copy: &Path, page: &Path) -> Result<(), String> {
    let said = |error: io::Error| error.to_string();
    fs::create_dir_all(copy).map_err(said)?;
    for folder in FOLDERS {
        let _ = fs::remove_dir_all(copy.join(folder));
        copy_folder(&ui.join(folder), &copy.join(folder)).map_err(said)?;
    }
    for file in FILES {
        fs::copy(ui.join(file), copy.join(file)).map_err(said)?;
    }
    let lock = fs::read(copy.join("package-lock.json")).map_err(said)?;
    let installed = copy.join("installed.json");
    if fs::read(&installed).ok().as_ref() != Some(&lock) {
        let _ = fs::remove_file(&installed);
        // Without a network npm would try for minutes.
        npm(
            copy,
            page,
            &[
                "ci",
                "--ignore-scripts",
                "--no-audit",
                "--no-fund",
                "--prefer-offline",
                "--fetch-retries=1",
                "--fetch-timeout=60000",
            ],
        )?;
        fs::write(&installed, &lock).map_err(said)?;
    }
    npm(copy, page, &["run", "--silent", "build"])
}

fn npm(folder: &Path, page: &Path, arguments: &[&str]) -> Result<(), String> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let asked = format!("npm {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("GRIDTALLY_PAGE_OUT", page)
        .output()
        .map_err(|error| format!("npm cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines
        .get(lines.len().saturating_sub(LINES_MAX)..)
        .unwrap_or_default();
    Err(format!("`{asked}` failed: {}", last.join("\n")))
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()))?;
        } else {
            fs::copy(entry.path(), to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// Writes the files of the page as `&[(name, content)]`.
fn list(page: &Path, to: &Path) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(page)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
        }
    }
    names.sort();
    let rows: String = names
        .iter()
        .map(|(name, path)| format!("    ({name:?}, include_bytes!({:?})),\n", path.to_string_lossy()))
        .collect();
    let text = format!("&[\n{rows}]\n");
    // Untouched when alike: nothing is compiled anew for it.
    if fs::read_to_string(to).ok().as_deref() != Some(&text) {
        fs::write(to, text)?;
    }
    Ok(())
}
