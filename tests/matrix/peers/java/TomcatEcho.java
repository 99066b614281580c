// Tomcat, embedded: an echo with jakarta.websocket, as its examples show one.
//
//     java -cp JARS TomcatEcho PORT
import jakarta.websocket.OnMessage;
import jakarta.websocket.OnError;
import jakarta.websocket.Session;
import jakarta.websocket.server.ServerContainer;
import jakarta.websocket.server.ServerEndpoint;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import org.apache.catalina.Context;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.websocket.server.WsSci;

public class TomcatEcho {
    @ServerEndpoint("/")
    public static class Echo {
        @OnMessage(maxMessageSize = 16 << 20)
        public void text(Session session, String message) throws IOException {
            session.getBasicRemote().sendText(message);
        }

        @OnMessage(maxMessageSize = 16 << 20)
        public void binary(Session session, ByteBuffer message) throws IOException {
            session.getBasicRemote().sendBinary(message);
        }

        @OnError
        public void error(Throwable ignored) {}
    }

    public static void main(String[] words) throws Exception {
        java.util.logging.Logger.getLogger("").setLevel(java.util.logging.Level.OFF);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(Files.createTempDirectory("tomcat").toString());
        tomcat.getConnector().setPort(Integer.parseInt(words[0]));
        tomcat.getConnector().setProperty("address", "127.0.0.1");
        Context context = tomcat.addContext("", Files.createTempDirectory("docs").toString());
        Tomcat.addServlet(context, "default", new org.apache.catalina.servlets.DefaultServlet());
        context.addServletMappingDecoded("/", "default");
        context.addServletContainerInitializer(new WsSci(), null);
        context.addServletContainerInitializer((classes, servletContext) -> {
            try {
                ServerContainer container = (ServerContainer) servletContext.getAttribute(ServerContainer.class.getName());
                container.addEndpoint(Echo.class);
            } catch (Exception error) {
                throw new RuntimeException(error);
            }
        }, null);
        tomcat.start();
        tomcat.getServer().await();
    }
}
