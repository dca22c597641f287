//! Every file the dynamic loader opens for a program: what the private root must hold for it to start.
//!
//! The search is ld.so(8)'s, for an empty environment.

pub mod cache;
pub mod elf;

use anyhow::{Context, Result};
use cache::Cache;
use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

/// What a program needs to start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// PT_INTERP of the program; `None` if it is static.
    pub interpreter: Option<String>,
    /// Shared objects, modules, and the loader's cache where it is needed to find them: absolute paths as the loader
    /// opens them, sorted.
    pub files: Vec<String>,
}

const CACHE: &str = "/etc/ld.so.cache";

/// What `program`, and the modules it opens by itself, need of this host.
///
/// Errors name the library that is not found, or the file that is not an ELF file.
pub fn needs(program: &Path, modules: &[PathBuf]) -> Result<Needs> {
    let main = elf::read(program)?;
    let Some(interpreter) = main.interpreter.clone() else { return Ok(Needs::default()) };
    let mut search = Search::new(main.machine, &interpreter);
    if main.runpath.is_empty() {
        search.inherited = directories(&main.rpath, program);
    }
    search.add_needed(program, main)?;
    for module in modules {
        search.found.insert(module.display().to_string(), module.clone());
        search.queue.push_back(module.clone());
    }
    while let Some(object) = search.queue.pop_front() {
        let dynamic = elf::read(&object)?;
        search.add_needed(&object, dynamic)?;
    }
    let text = |path: PathBuf| path.into_os_string().into_string().ok().context("library path is not UTF-8");
    search.found.remove(search.interpreter_name.as_str());
    let mut files = search.found.into_values().map(text).collect::<Result<Vec<_>>>()?;
    if search.cache_needed {
        files.push(CACHE.to_owned());
    }
    files.sort();
    files.dedup();
    Ok(Needs { interpreter: Some(interpreter), files })
}

struct Search {
    machine: u16,
    interpreter_name: String,
    /// DT_RPATH of the program, which counts for its libraries too.
    inherited: Vec<PathBuf>,
    cache: Option<Cache>,
    defaults: Vec<PathBuf>,
    /// By the name that was asked for: the loader takes the first of a name for all.
    found: BTreeMap<String, PathBuf>,
    queue: VecDeque<PathBuf>,
    /// A library lies where only the cache tells.
    cache_needed: bool,
}

impl Search {
    fn new(machine: u16, interpreter: &str) -> Self {
        let path = PathBuf::from(interpreter);
        let interpreter_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            machine,
            inherited: Vec::new(),
            cache: std::fs::read(CACHE).ok().and_then(Cache::new),
            defaults: default_directories(machine),
            // The loader itself is loaded already when a library asks for it.
            found: BTreeMap::from([(interpreter_name.clone(), path)]),
            interpreter_name,
            queue: VecDeque::new(),
            cache_needed: false,
        }
    }

    fn add_needed(&mut self, object: &Path, dynamic: elf::Dynamic) -> Result<()> {
        let (rpath, runpath) = if dynamic.runpath.is_empty() {
            (directories(&dynamic.rpath, object), Vec::new())
        } else {
            (Vec::new(), directories(&dynamic.runpath, object))
        };
        for name in dynamic.needed {
            if self.found.contains_key(&name) {
                continue;
            }
            let file = self
                .find(&name, &rpath, &runpath)
                .with_context(|| format!("library {name}, needed by {}, is not found", object.display()))?;
            self.found.insert(name, file.clone());
            self.queue.push_back(file);
        }
        Ok(())
    }

    fn find(&mut self, name: &str, rpath: &[PathBuf], runpath: &[PathBuf]) -> Option<PathBuf> {
        if name.contains('/') {
            return Some(PathBuf::from(name)).filter(|path| path.is_absolute() && self.fits(path));
        }
        let named = [rpath, self.inherited.as_slice(), runpath].concat();
        if let Some(file) = self.first_in(&named, name) {
            return Some(file);
        }
        let cached = self
            .cache
            .as_ref()
            .and_then(|cache| cache.files(name).map(PathBuf::from).find(|path| self.fits(path)));
        let Some(file) = cached else { return self.first_in(&self.defaults, name) };
        self.cache_needed |= !file.parent().is_some_and(|dir| self.defaults.iter().any(|known| known == dir));
        Some(file)
    }

    fn first_in(&self, directories: &[PathBuf], name: &str) -> Option<PathBuf> {
        directories.iter().map(|dir| dir.join(name)).find(|path| self.fits(path))
    }

    fn fits(&self, path: &Path) -> bool {
        path.exists() && elf::read(path).is_ok_and(|dynamic| dynamic.machine == self.machine)
    }
}

/// Where the loader looks without being told; Debian's multiarch directories first.
fn default_directories(machine: u16) -> Vec<PathBuf> {
    let triplet = if machine == 183 { "aarch64-linux-gnu" } else { "x86_64-linux-gnu" };
    let mut all = vec![format!("/lib/{triplet}"), format!("/usr/lib/{triplet}")];
    all.extend(["/lib64", "/usr/lib64", "/lib", "/usr/lib"].map(String::from));
    all.into_iter().map(PathBuf::from).collect()
}

/// Splits a search path; `$ORIGIN` is the object's own directory. Entries with other variables are left out, and so
/// are relative ones: they would mean the working directory.
fn directories(list: &str, object: &Path) -> Vec<PathBuf> {
    let origin = object.parent().unwrap_or(Path::new("/")).to_string_lossy();
    list.split(':')
        .map(|entry| entry.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin))
        .filter(|entry| entry.starts_with('/') && !entry.contains('$'))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use elf::tests::object;

    fn names(paths: &[String]) -> Vec<&str> {
        paths.iter().map(|path| path.rsplit('/').next().unwrap()).collect()
    }

    #[test]
    fn the_closure_follows_runpath_and_modules_and_takes_each_name_once() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: Vec<u8>| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let run = "$ORIGIN/lib:relative:$PLATFORM";
        let program = write("program", object(&["urunc-a.so", "ld-urunc.so"], Some("/lib/ld-urunc.so"), run));
        write("lib/urunc-a.so", object(&["urunc-b.so", "urunc-a.so"], None, "${ORIGIN}/deep"));
        write("lib/deep/urunc-b.so", object(&[], None, ""));
        write("lib/urunc-c.so", object(&["urunc-b.so"], None, ""));
        let module = write("module.so", object(&["urunc-c.so"], None, "$ORIGIN/lib"));
        let needs = needs(&program, &[module]).unwrap();
        assert_eq!(needs.interpreter.as_deref(), Some("/lib/ld-urunc.so"));
        assert_eq!(names(&needs.files), ["urunc-b.so", "urunc-a.so", "urunc-c.so", "module.so"]);
    }

    #[test]
    fn a_missing_library_is_named_with_its_user() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::write(&program, object(&["urunc-none.so"], Some("/lib/ld.so"), "")).unwrap();
        let error = format!("{:#}", needs(&program, &[]).unwrap_err());
        assert_eq!(error, format!("library urunc-none.so, needed by {}, is not found", program.display()));
    }

    #[test]
    fn a_static_program_needs_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::write(&program, object(&[], None, "")).unwrap();
        assert_eq!(needs(&program, &[]).unwrap(), Needs::default());
    }
}
