package skyfall.delta;

import io.delta.storage.HadoopFileSystemLogStore;
import java.io.IOException;
import java.io.Writer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Iterator;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;

/**
 * Commits to a Delta table on a local or shared POSIX file system so that two writers never have the same version.
 *
 * <p>Delta's own store for {@code file:} looks whether the version is there, then renames over it: what another program has
 * committed in between is gone. Here link(2) gives the version its name, which fails where the name exists, whoever made it.
 * What is written is on stable storage before it has its name, and the name is before the commit is told of.
 */
public final class LinkLogStore extends HadoopFileSystemLogStore {

  public LinkLogStore(Configuration configuration) {
    super(configuration);
  }

  /**
   * Writes a file of the log, a line an action.
   *
   * @throws FileAlreadyExistsException if it is there and must not be overwritten; then Delta takes the next version.
   */
  @Override
  public void write(org.apache.hadoop.fs.Path path, Iterator<String> actions, Boolean overwrite, Configuration configuration)
      throws IOException {
    Path target = Path.of(path.toUri().getPath());
    Path temporary = target.resolveSibling("." + UUID.randomUUID() + ".tmp");
    try {
      try (Writer writer = Files.newBufferedWriter(temporary, StandardCharsets.UTF_8, StandardOpenOption.CREATE_NEW)) {
        while (actions.hasNext()) writer.append(actions.next()).append('\n');
      }
      sync(temporary, StandardOpenOption.WRITE);
      if (overwrite) {
        // Hadoop would hold the new text against the checksum of the old one.
        Files.deleteIfExists(target.resolveSibling("." + target.getFileName() + ".crc"));
        Files.move(temporary, target, StandardCopyOption.ATOMIC_MOVE);
      } else {
        Files.createLink(target, temporary);
      }
      sync(target.getParent(), StandardOpenOption.READ);
    } finally {
      Files.deleteIfExists(temporary);
    }
  }

  /** Checkpoints, which Spark writes itself, must be renamed when they are whole. */
  @Override
  public Boolean isPartialWriteVisible(org.apache.hadoop.fs.Path path, Configuration configuration) {
    return true;
  }

  private static void sync(Path path, StandardOpenOption access) throws IOException {
    try (FileChannel channel = FileChannel.open(path, access)) {
      channel.force(true);
    }
  }
}
